# kubectl
# Dry runs store nothing.
kubectl create configmap m --from-literal=a=1 --dry-run=server -o yaml
kubectl create configmap m --from-literal=a=1 --dry-run=client -o yaml > m.yaml
kubectl apply -f m.yaml --dry-run=server
kubectl get configmaps
kubectl create -f m.yaml
kubectl delete configmap m --dry-run=server
kubectl get configmap m
