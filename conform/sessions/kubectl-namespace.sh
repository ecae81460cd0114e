# kubectl
# A namespace of one's own, from its beginning to its end.
kubectl create namespace "$NAMESPACE-more"
kubectl get namespace "$NAMESPACE-more" -o yaml
kubectl create configmap m -n "$NAMESPACE-more"
kubectl create namespace "$NAMESPACE-more" || true
kubectl create configmap m -n "$NAMESPACE-nowhere" || true
kubectl delete namespace "$NAMESPACE-more" --timeout=60s
