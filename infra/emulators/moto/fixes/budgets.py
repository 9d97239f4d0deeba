"""Budgets: tags, and who is told."""

import json

from moto.budgets.responses import BudgetsResponse
from moto.core.exceptions import JsonRESTError

from . import instead, missing, state


@instead(BudgetsResponse, "create_budget")
def create_budget(original, self):
    answer = original(self)
    state(self.backend, "tags")[self._get_param("Budget")["BudgetName"]] = self._get_param("ResourceTags") or []
    return answer


@missing(BudgetsResponse)
def list_tags_for_resource(self):
    name = self._get_param("ResourceARN").split("/")[-1]
    return json.dumps({"ResourceTags": state(self.backend, "tags").get(name, [])})


@missing(BudgetsResponse)
def describe_subscribers_for_notification(self):
    wanted = self._get_param("Notification")
    for notification in self.backend.budgets[self._get_param("AccountId")][self._get_param("BudgetName")].notifications:
        details = notification.details
        if all(details.get(name) == value for name, value in wanted.items() if name != "NotificationState"):
            return json.dumps({"Subscribers": notification.subscribers})
    raise JsonRESTError("NotFoundException", "there is no such notification")
