"""Lambda: event-source mappings of an alias, the rest of a function's configuration, provisioned concurrency."""

import json
import re
from urllib.parse import unquote

from moto.awslambda import urls
from moto.awslambda.models import LambdaBackend, LambdaFunction
from moto.awslambda.responses import LambdaResponse
from moto.kinesis.models import kinesis_backends
from moto.sqs.models import sqs_backends

from . import instead, state


def qualified(function_arn, name):
    """Returns a function's ARN with the qualifier that the name has: moto puts the version that an alias means."""
    base = ":".join(function_arn.split(":")[:7])
    match = re.fullmatch(r"(?:arn:[^:]+:lambda:[^:]+:\d+:function:)?[^:]+:([^:]+)", name)
    return f"{base}:{match[1]}" if match else base


@instead(LambdaBackend, "create_event_source_mapping")
def create_event_source_mapping(original, self, spec):
    source = spec.get("EventSourceArn", "")
    # moto knows the mapping of a stream, not that of a consumer which is registered with it.
    mapping = original(self, {**spec, "EventSourceArn": source.split("/consumer/")[0]})
    mapping._event_source_arn = source
    mapping.function_arn = qualified(mapping.function_arn, spec["FunctionName"])
    # moto would deliver by itself, and look for Docker to run the function in.
    for source in (
        *kinesis_backends[self.account_id][self.region_name].streams.values(),
        *sqs_backends[self.account_id][self.region_name].queues.values(),
    ):
        source.lambda_event_source_mappings.clear()
    return mapping


@instead(LambdaBackend, "update_event_source_mapping")
def update_event_source_mapping(original, self, uuid, spec):
    mapping = original(self, uuid, spec)
    if mapping and spec.get("FunctionName"):
        mapping.function_arn = qualified(mapping.function_arn, spec["FunctionName"])
    return mapping


# What moto neither keeps nor returns, or keeps and does not update.
KEPT = ("LoggingConfig", "DeadLetterConfig", "KMSKeyArn")


@instead(LambdaFunction, "__init__")
def create(original, self, account_id, spec, *args, **kwargs):
    self.hito_kept = {name: spec[name] for name in KEPT if name in spec}
    original(self, account_id, spec, *args, **kwargs)


@instead(LambdaFunction, "get_configuration")
def get_configuration(original, self, *args, **kwargs):
    configuration = original(self, *args, **kwargs)
    configuration.update({name: value for name, value in self.hito_kept.items() if value})
    configuration["LoggingConfig"] = {
        "LogFormat": "Text",
        "LogGroup": f"/aws/lambda/{self.function_name}",
        **self.hito_kept.get("LoggingConfig", {}),
    }
    if not configuration.get("DeadLetterConfig", {}).get("TargetArn"):
        configuration.pop("DeadLetterConfig", None)
    return configuration


@instead(LambdaFunction, "update_configuration")
def update_configuration(original, self, updates):
    self.hito_kept.update({name: updates[name] for name in KEPT if name in updates})
    if "TracingConfig" in updates:
        self.tracing_config = updates["TracingConfig"]
    if "EphemeralStorage" in updates:
        self.ephemeral_storage = updates["EphemeralStorage"]["Size"]
    return original(self, updates)


# Provisioned concurrency, which moto does not know.


def provisioned(self):
    """Returns what all functions have, and which of them the request is about."""
    name = unquote(self.path.split("/")[-2]).split(":")
    return state(self.backend, "provisioned"), (name[6] if name[0] == "arn" else name[0], self._get_param("Qualifier"))


def provisioned_answer(wanted):
    return json.dumps(
        {
            "RequestedProvisionedConcurrentExecutions": wanted,
            "AvailableProvisionedConcurrentExecutions": wanted,
            "AllocatedProvisionedConcurrentExecutions": wanted,
            "Status": "READY",
            "LastModified": "2026-01-01T00:00:00+0000",
        }
    )


def put_provisioned_concurrency_config(self):
    wanted, key = provisioned(self)
    wanted[key] = json.loads(self.body)["ProvisionedConcurrentExecutions"]
    return 202, {"status": 202}, provisioned_answer(wanted[key])


def get_provisioned_concurrency_config(self):
    wanted, key = provisioned(self)
    if key not in wanted:
        error = "ProvisionedConcurrencyConfigNotFoundException"
        return 404, {"status": 404, "x-amzn-ErrorType": error}, json.dumps({"Type": "User", "message": f"{key} has none"})
    return 200, {}, provisioned_answer(wanted[key])


def delete_provisioned_concurrency_config(self):
    wanted, key = provisioned(self)
    wanted.pop(key, None)
    return 204, {"status": 204}, ""


for method in (put_provisioned_concurrency_config, get_provisioned_concurrency_config, delete_provisioned_concurrency_config):
    setattr(LambdaResponse, method.__name__, method)
urls.url_paths[r"{0}/(?P<api_version>[^/]+)/functions/(?P<function_name>[\w_:%-]+)/provisioned-concurrency/?$"] = LambdaResponse.dispatch
