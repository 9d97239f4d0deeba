"""SQS: attributes that Terraform waits for, and no message lost among concurrent callers."""

import json
import time

from moto.sqs.models import Queue, SQSBackend

from . import instead


@instead(Queue, "_set_attributes")
def _set_attributes(original, self, attributes, now=None):
    # Setting any attribute would wipe the policy.
    policy = getattr(self, "_policy_json", None) and self.policy
    original(self, attributes, now)
    if policy and "Policy" not in attributes:
        self.policy = policy
    if "RedriveAllowPolicy" in attributes:
        self.redrive_allow_policy = attributes["RedriveAllowPolicy"]


_attributes = Queue.attributes.fget


def _read_attributes(self):
    attributes = _attributes(self)
    if self.redrive_policy:
        # Terraform waits until it reads the very text that it wrote.
        attributes["RedrivePolicy"] = json.dumps(self.redrive_policy, separators=(",", ":"))
    if getattr(self, "redrive_allow_policy", None):
        attributes["RedriveAllowPolicy"] = self.redrive_allow_policy
    return attributes


Queue.attributes = property(_read_attributes)
Queue.BASE_ATTRIBUTES = [*Queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"]
Queue.redrive_allow_policy = None


@instead(SQSBackend, "get_queue_attributes")
def _get_queue_attributes(original, self, queue_name, attribute_names):
    attributes = original(self, queue_name, attribute_names)
    return {name: value for name, value in attributes.items() if value is not None}


# A queue's messages are a list that a deletion replaces: one added meanwhile would be gone, and two receivers would
# get the same message. The queue's own lock is held instead.


@instead(Queue, "add_message")
def _add_message(original, self, message):
    with self._messages_lock:
        # The caller delivers to functions itself: moto would look for Docker.
        self.lambda_event_source_mappings.clear()
        original(self, message)


@instead(Queue, "delete_message")
def _delete_message(original, self, receipt_handle):
    with self._messages_lock:
        original(self, receipt_handle)


@instead(SQSBackend, "change_message_visibility")
def _change_message_visibility(original, self, queue_name, receipt_handle, visibility_timeout):
    queue = self.get_queue(queue_name)
    with queue._messages_lock:
        original(self, queue_name, receipt_handle, visibility_timeout)
        queue._messages_lock.notify_all()


@instead(SQSBackend, "receive_message")
def _receive_message(original, self, queue_name, count, wait_seconds_timeout, visibility_timeout, message_attribute_names=None):
    queue = self.get_queue(queue_name)
    end = time.monotonic() + (wait_seconds_timeout or 0)
    with queue._messages_lock:
        while True:
            messages = original(self, queue_name, count, 0, visibility_timeout, message_attribute_names)
            left = end - time.monotonic()
            if messages or left <= 0:
                return messages
            # Nobody tells when a message becomes visible again.
            queue._messages_lock.wait(min(left, 0.1))
