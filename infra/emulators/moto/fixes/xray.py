"""X-Ray: groups and sampling rules, which moto does not know."""

import json
import time

from moto.xray import urls
from moto.xray.responses import XRayResponse

from . import missing, state


def arn(self, resource):
    return f"arn:aws:xray:{self.region}:{self.current_account}:{resource}"


def named(self, name, kind):
    """Returns the name that the request gives, or that is in the ARN it gives."""
    given = self._get_param(f"{kind}Name")
    return given or self._get_param(f"{kind}ARN", "").split("/")[name]


def not_found(self, what):
    return self._error("InvalidRequestException", f"{what} not found")


def keep_tags(self, resource):
    state(self.xray_backend, "tags")[resource] = self._get_param("Tags", [])


def rule_record(rule):
    return {"SamplingRule": rule, "CreatedAt": 0, "ModifiedAt": 0}


@missing(XRayResponse)
def create_sampling_rule(self):
    given = self._get_param("SamplingRule")
    rule = {"Attributes": {}, **given, "RuleARN": arn(self, "sampling-rule/" + given["RuleName"])}
    state(self.xray_backend, "rules")[rule["RuleName"]] = rule
    keep_tags(self, rule["RuleARN"])
    return json.dumps({"SamplingRuleRecord": rule_record(rule)})


@missing(XRayResponse)
def update_sampling_rule(self):
    update = self._get_param("SamplingRuleUpdate")
    name = update.get("RuleName") or update["RuleARN"].split("/")[-1]
    rule = state(self.xray_backend, "rules").get(name)
    if rule is None:
        return not_found(self, name)
    rule.update(update)
    return json.dumps({"SamplingRuleRecord": rule_record(rule)})


@missing(XRayResponse)
def get_sampling_rules(self):
    return json.dumps({"SamplingRuleRecords": [rule_record(r) for r in state(self.xray_backend, "rules").values()]})


@missing(XRayResponse)
def delete_sampling_rule(self):
    name = named(self, -1, "Rule")
    rule = state(self.xray_backend, "rules").pop(name, None)
    return json.dumps({"SamplingRuleRecord": rule_record(rule)}) if rule else not_found(self, name)


@missing(XRayResponse)
def create_group(self):
    name = self._get_param("GroupName")
    group = {
        "GroupName": name,
        "GroupARN": arn(self, f"group/{name}/{int(time.time())}"),
        "FilterExpression": self._get_param("FilterExpression"),
        "InsightsConfiguration": {"InsightsEnabled": False, "NotificationsEnabled": False, **self._get_param("InsightsConfiguration", {})},
    }
    state(self.xray_backend, "groups")[name] = group
    keep_tags(self, group["GroupARN"])
    return json.dumps({"Group": group})


@missing(XRayResponse)
def update_group(self):
    name = named(self, -2, "Group")
    group = state(self.xray_backend, "groups").get(name)
    if group is None:
        return not_found(self, name)
    for part in ("FilterExpression", "InsightsConfiguration"):
        if self._get_param(part) is not None:
            group[part] = self._get_param(part)
    return json.dumps({"Group": group})


@missing(XRayResponse)
def get_group(self):
    name = named(self, -2, "Group")
    group = state(self.xray_backend, "groups").get(name)
    return json.dumps({"Group": group}) if group else not_found(self, name)


@missing(XRayResponse)
def delete_group(self):
    state(self.xray_backend, "groups").pop(named(self, -2, "Group"), None)
    return "{}"


@missing(XRayResponse)
def list_tags_for_resource(self):
    return json.dumps({"Tags": state(self.xray_backend, "tags").get(self._get_param("ResourceARN"), [])})


for action in (
    *("CreateSamplingRule", "UpdateSamplingRule", "GetSamplingRules", "DeleteSamplingRule"),
    *("CreateGroup", "UpdateGroup", "GetGroup", "DeleteGroup", "ListTagsForResource"),
):
    urls.url_paths.setdefault("{0}/" + action + "$", XRayResponse.dispatch)
