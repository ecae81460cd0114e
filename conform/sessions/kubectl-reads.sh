# kubectl
# Pages, sorting, and columns of one's own.
for name in a b c d; do kubectl create configmap "$name" --from-literal=x="$name"; done
kubectl get configmaps --chunk-size=2
kubectl get configmaps --sort-by=.metadata.name -o name
kubectl get configmaps -o custom-columns=NAME:.metadata.name,X:.data.x
kubectl get configmap a b -o json
kubectl get configmaps,secrets
kubectl delete configmaps --all
