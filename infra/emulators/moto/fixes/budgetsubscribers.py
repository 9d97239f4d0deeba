"""Budgets: who is told by a notification, which moto keeps but does not tell."""

import json

from moto.budgets.responses import BudgetsResponse

from . import missing


@missing(BudgetsResponse)
def describe_subscribers_for_notification(self):
    wanted = self._get_param("Notification")
    same = ("NotificationType", "ComparisonOperator", "Threshold")
    budget = self.backend.budgets[self._get_param("AccountId")][self._get_param("BudgetName")]
    told = [n.subscribers for n in budget.notifications if all(n.details[k] == wanted[k] for k in same)]
    return json.dumps({"Subscribers": told[0] if told else []})
