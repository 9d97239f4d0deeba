"""SQS: attributes that Terraform waits for, no message lost among concurrent callers, and queues of thousands."""

import functools
import itertools
import json
import time

from moto.sqs import models
from moto.sqs.models import Queue, SQSBackend

from . import instead


@instead(Queue, "_set_attributes")
def set_attributes(original, self, attributes, now=None):
    # Setting any attribute would wipe the policy.
    policy = self.policy if hasattr(self, "_policy_json") else None
    original(self, attributes, now)
    if policy and "Policy" not in attributes:
        self.policy = policy


attributes = Queue.attributes.fget


def attributes_as_written(self):
    result = attributes(self)
    if self.redrive_policy:
        # Terraform waits until it reads the very text that it wrote.
        result["RedrivePolicy"] = json.dumps(self.redrive_policy, separators=(",", ":"))
    if not self.redrive_allow_policy:
        result.pop("RedriveAllowPolicy", None)  # Terraform takes one away by setting it to nothing
    return result


Queue.attributes = property(attributes_as_written)
Queue.redrive_allow_policy = None
Queue.BASE_ATTRIBUTES = [*Queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"]

# Each message sent or received has the clock read several times for each message that waits: with a thousand of them a
# batch takes a second.


def waiting(self):
    now = time.time() * 1000
    return [m for m in self._messages if now > m.visible_at and now >= m.delayed_until]


def count(predicate):
    return property(lambda self: sum(map(predicate, self._messages, itertools.repeat(time.time() * 1000))))


models.camelcase_to_underscores = functools.cache(models.camelcase_to_underscores)
Queue.messages = property(waiting)
Queue.approximate_number_of_messages_delayed = count(lambda m, now: now < m.delayed_until)
Queue.approximate_number_of_messages_not_visible = count(lambda m, now: now <= m.visible_at)


@instead(SQSBackend, "is_message_valid_based_on_retention_period")
def is_message_valid_based_on_retention_period(original, self, queue_name, message):
    return message.sent_timestamp / 1000 + self.get_queue(queue_name).message_retention_period > time.time()


# A queue's messages are a list which a deletion replaces, so that a message added meanwhile would be lost; and two
# receivers would get the same message. The queue's own lock is held instead.


@instead(Queue, "add_message")
def add_message(original, self, message):
    with self._messages_lock:
        original(self, message)


@instead(Queue, "delete_message")
def delete_message(original, self, receipt_handle):
    with self._messages_lock:
        original(self, receipt_handle)


@instead(SQSBackend, "change_message_visibility")
def change_message_visibility(original, self, queue_name, receipt_handle, visibility_timeout):
    with self.get_queue(queue_name)._messages_lock:
        original(self, queue_name, receipt_handle, visibility_timeout)


@instead(SQSBackend, "receive_message")
def receive_message(original, self, queue_name, count, wait_seconds_timeout, visibility_timeout, message_attribute_names=None):
    queue = self.get_queue(queue_name)
    end = time.monotonic() + (wait_seconds_timeout or 0)
    with queue._messages_lock:
        while True:
            messages = original(self, queue_name, count, 0, visibility_timeout, message_attribute_names)
            left = end - time.monotonic()
            if messages or left <= 0:
                return messages
            # Waiting lets go of the lock. Nobody tells when a message becomes visible again.
            queue._messages_lock.wait(min(left, 0.1))
