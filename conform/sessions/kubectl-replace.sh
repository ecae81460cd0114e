# kubectl
# Replace, and replace by force.
kubectl create configmap m --from-literal=a=1
kubectl get configmap m -o yaml > m.yaml
sed -i 's/"1"/"2"/' m.yaml
kubectl replace -f m.yaml
kubectl replace -f m.yaml || true
kubectl replace --force -f m.yaml
kubectl get configmap m -o jsonpath='{.data}'
