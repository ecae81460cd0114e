# kubectl
# What `kubectl set` changes in a template.
kubectl create deployment web --image=registry.example/web:1 --replicas=0
kubectl set env deployment/web A=1 B=2
kubectl set env deployment/web B-
kubectl set resources deployment/web --requests=cpu=100m,memory=64Mi --limits=cpu=1
kubectl set serviceaccount deployment/web default
kubectl get deployment web -o jsonpath='{.spec.template.spec}'
