# kubectl
# What is there already cannot be created again.
kubectl create configmap settings --from-literal=a=1
kubectl create configmap settings --from-literal=a=1 || true
kubectl get configmap missing || true
kubectl delete configmap missing || true
kubectl delete configmap missing --ignore-not-found
