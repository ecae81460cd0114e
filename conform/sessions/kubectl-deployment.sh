# kubectl nodes
# A Deployment, from nothing to a rollout that is done.
kubectl create deployment web --image=registry.example/web:1 --replicas=2
kubectl rollout status deployment web --timeout=60s
kubectl get deployment web
kubectl get deployment web -o yaml
kubectl get replicasets
kubectl get pods -l app=web
kubectl scale deployment web --replicas=1
kubectl rollout status deployment web --timeout=60s
kubectl delete deployment web --wait=false
