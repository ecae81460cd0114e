# kubectl
# A ConfigMap from literals, read back in every form, and deleted.
kubectl create configmap settings --from-literal=a=1 --from-literal=b=2
kubectl get configmap settings -o yaml
kubectl get configmap settings -o json
kubectl get configmap settings -o name
kubectl get configmap settings -o jsonpath='{.data.a}'
kubectl get configmap settings -o wide
kubectl delete configmap settings
