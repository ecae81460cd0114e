# kubectl
# From the client's side to the server's.
printf '%s\n' 'apiVersion: v1' 'kind: ConfigMap' 'metadata:' '  name: m' 'data: {x: "1"}' > m.yaml
kubectl apply -f m.yaml
kubectl apply --server-side -f m.yaml
sed -i 's/"1"/"2"/' m.yaml
kubectl apply --server-side -f m.yaml
kubectl get configmap m -o yaml --show-managed-fields
