"""CodeDeploy: deployment configurations, deletions, alarms, and times as numbers."""

import json
import time
import uuid

from moto.codedeploy.models import Application, DeploymentGroup
from moto.codedeploy.responses import CodeDeployResponse
from moto.core.exceptions import JsonRESTError

from . import instead, missing, state


@instead(Application, "to_dict")
def application(original, self):
    return {**original(self), "createTime": time.time()}  # the provider reads no text


@instead(DeploymentGroup, "to_dict")
def deployment_group(original, self):
    group = original(self)
    group["alarmConfiguration"] = self.alarm_configuration or {}
    # An empty one looks to Terraform like a block that somebody added.
    if not group["loadBalancerInfo"]:
        del group["loadBalancerInfo"]
    return group


@missing(CodeDeployResponse)
def create_deployment_config(self):
    config = {
        **json.loads(self.body),
        "deploymentConfigId": str(uuid.uuid4()),
        "createTime": time.time(),
    }
    state(self.codedeploy_backend, "configs")[config["deploymentConfigName"]] = config
    return json.dumps({"deploymentConfigId": config["deploymentConfigId"]})


@missing(CodeDeployResponse)
def get_deployment_config(self):
    name = self._get_param("deploymentConfigName")
    config = state(self.codedeploy_backend, "configs").get(name)
    if config is None:
        raise JsonRESTError("DeploymentConfigDoesNotExistException", f"No Deployment Config found for name: {name}")
    return json.dumps({"deploymentConfigInfo": config})


@missing(CodeDeployResponse)
def delete_deployment_config(self):
    state(self.codedeploy_backend, "configs").pop(self._get_param("deploymentConfigName"), None)
    return "{}"


@missing(CodeDeployResponse)
def delete_application(self):
    self.codedeploy_backend.applications.pop(self._get_param("applicationName"), None)
    return "{}"


@missing(CodeDeployResponse)
def delete_deployment_group(self):
    groups = self.codedeploy_backend.deployment_groups.get(self._get_param("applicationName"), {})
    groups.pop(self._get_param("deploymentGroupName"), None)
    return json.dumps({"hooksNotCleanedUp": []})
