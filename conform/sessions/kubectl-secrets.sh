# kubectl
# Secrets of each type that kubectl makes.
kubectl create secret generic plain --from-literal=user=jane
kubectl create secret docker-registry pull --docker-server=example.com --docker-username=a --docker-password=b
kubectl get secret plain -o yaml
kubectl get secrets
kubectl describe secret plain
kubectl delete secret plain pull
