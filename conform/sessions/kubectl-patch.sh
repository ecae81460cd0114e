# kubectl
# The three kinds of patch.
kubectl create configmap m --from-literal=a=1
kubectl patch configmap m -p '{"data":{"b":"2"}}'
kubectl patch configmap m --type=merge -p '{"data":{"a":null}}'
kubectl patch configmap m --type=json -p '[{"op":"replace","path":"/data/b","value":"3"}]'
kubectl patch configmap m --type=json -p '[{"op":"remove","path":"/data/zzz"}]' || true
kubectl patch configmap m -p '{"data":{"b":7}}' || true
kubectl get configmap m -o yaml
