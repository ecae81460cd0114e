# kubectl
# Services of each type.
kubectl create service clusterip inner --tcp=80:8080
kubectl create service nodeport outer --tcp=80
kubectl create service externalname away --external-name=example.com
kubectl create service clusterip headless --clusterip=None
kubectl get service inner -o yaml
kubectl get services
kubectl create deployment web --image=registry.example/web:1 --replicas=0 --port=80
kubectl expose deployment web --port=80 --target-port=8080
kubectl get service web -o jsonpath='{.spec.ports}'
kubectl delete service inner outer away headless web
