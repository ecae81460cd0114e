# kubectl
# Labels, annotations, and selectors.
kubectl create configmap one --from-literal=a=1
kubectl create configmap two --from-literal=a=1
kubectl label configmap one tier=front
kubectl label configmap one tier=back || true
kubectl label --overwrite configmap one tier=back
kubectl annotate configmap two note=hello
kubectl get configmaps -l tier=back
kubectl get configmaps -l 'tier notin (back),!x' --show-labels
kubectl get configmaps --field-selector metadata.name=two
kubectl label configmap one tier-
kubectl get configmaps -l 'a b' || true
kubectl get configmaps --field-selector spec.x=y || true
