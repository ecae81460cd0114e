# kubectl
# A Job that is held, and what deletes it.
kubectl create job once --image=registry.example/job:1 --dry-run=client -o yaml > job.yaml
sed -i 's/^spec:/spec:\n  suspend: true/' job.yaml
kubectl create -f job.yaml
kubectl get job once -o jsonpath='{.spec.suspend} {.spec.backoffLimit} {.spec.completions}'
kubectl patch job once -p '{"spec":{"completions":3}}' || true
kubectl delete job once --cascade=background
