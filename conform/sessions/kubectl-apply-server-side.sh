# kubectl
# Apply on the server's side: who owns what, a conflict, and force.
printf '%s\n' 'apiVersion: v1' 'kind: ConfigMap' 'metadata:' '  name: m' 'data: {x: "1", y: "2"}' > m.yaml
kubectl apply --server-side -f m.yaml
kubectl apply --server-side -f m.yaml
sed -i 's/"1"/"9"/' m.yaml
kubectl apply --server-side --field-manager=other -f m.yaml || true
kubectl apply --server-side --field-manager=other --force-conflicts -f m.yaml
kubectl get configmap m -o yaml --show-managed-fields
