# kubectl
# A quota that is full.
kubectl create quota few --hard=count/configmaps=3
kubectl get quota few -o jsonpath='{.spec.hard}'
kubectl create configmap one
kubectl create configmap two
kubectl wait --for=jsonpath='{.status.used.count/configmaps}'=3 quota/few --timeout=30s || true
kubectl create configmap three || true
