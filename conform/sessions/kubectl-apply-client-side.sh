# kubectl
# Apply on the client's side: created, unchanged, configured, a field taken out.
printf '%s\n' 'apiVersion: v1' 'kind: ConfigMap' 'metadata:' '  name: m' '  labels: {a: b}' 'data: {x: "1", y: "2"}' > m.yaml
kubectl apply -f m.yaml
kubectl apply -f m.yaml
printf '%s\n' 'apiVersion: v1' 'kind: ConfigMap' 'metadata:' '  name: m' 'data: {x: "3"}' > m.yaml
kubectl diff -f m.yaml || true
kubectl apply -f m.yaml
kubectl get configmap m -o yaml
kubectl apply view-last-applied configmap m
kubectl delete -f m.yaml
