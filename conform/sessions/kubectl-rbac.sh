# kubectl
# Roles, bindings, and what they allow.
kubectl create serviceaccount robot
kubectl create role reader --verb=get,list --resource=pods,configmaps
kubectl create rolebinding robots --role=reader --serviceaccount="$NAMESPACE:robot"
kubectl get role reader -o yaml
kubectl get rolebindings
kubectl describe role reader
kubectl auth can-i list pods
kubectl auth can-i list pods --as="system:serviceaccount:$NAMESPACE:robot"
kubectl auth can-i delete pods --as="system:serviceaccount:$NAMESPACE:robot" || true
kubectl get secrets --as="system:serviceaccount:$NAMESPACE:robot" || true
kubectl auth whoami
