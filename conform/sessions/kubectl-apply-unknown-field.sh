# kubectl
# A misspelt field is refused in both ways of applying, and let through when nobody asks.
printf '%s\n' 'apiVersion: v1' 'kind: ConfigMap' 'metadata:' '  name: m' 'datas: {x: "1"}' > m.yaml
kubectl apply -f m.yaml || true
kubectl apply --server-side -f m.yaml || true
kubectl apply --validate=ignore -f m.yaml
kubectl apply --validate=warn -f m.yaml
