# kubectl
# Disruption budgets.
kubectl create poddisruptionbudget half --selector=app=web --min-available=50%
kubectl create poddisruptionbudget one --selector=app=web --max-unavailable=1
kubectl get poddisruptionbudget half -o jsonpath='{.spec}'
kubectl get poddisruptionbudgets
kubectl delete poddisruptionbudget half one
