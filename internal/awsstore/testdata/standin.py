"""Runs moto's server with DynamoDB as DynamoDB is, where moto 5.2 is not.

- One request for DynamoDB at a time. moto serves requests in threads, and neither
  checks conditions nor updates items under a lock: two conditional writes of one
  item can both pass, and a reader can see an item that an update has only begun.
- A transaction that fails puts back its own items. moto puts back a copy of the
  whole table, made when the transaction began, and so undoes what others wrote
  meanwhile. Copying all for every transaction also takes seconds for a table of
  some thousand items.
- An update whose words were carried out before is carried out again in fewer
  steps. moto walks over its parts again and again, for some 30 ms.
- A query looks at its own partition, where moto sorts the whole table first, and
  texts are compared as such.
- Which service a request is for is found once for each host. moto lists its own
  folders for every request, under a lock, which takes ten times what it does for
  the request. Nor is every request logged, and a connection lasts for many.
  The last three are for speed alone.
"""

import copy
import functools
import logging
import os
import re
import sys
import threading
import time

from moto.dynamodb import models
from moto.dynamodb.models import table as tables
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.responses import DynamoHandler
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.server import main
from werkzeug.serving import WSGIRequestHandler

turn = threading.RLock()
call_action = DynamoHandler.call_action


def one_at_a_time(self):
    with turn:
        return call_action(self)


DynamoHandler.call_action = one_at_a_time


class Copies:
    """The module copy, but for tables, which are not copied."""

    @staticmethod
    def deepcopy(thing):
        return thing if isinstance(thing, tables.Table) else copy.deepcopy(thing)


models.copy = Copies
backend = models.DynamoDBBackend
transact_write_items = backend.transact_write_items


def transact(self, transact_items):
    before = []
    for entry in transact_items:
        op = next(iter(entry.values()))
        table = self.get_table(op["TableName"])
        key = op.get("Key") or op["Item"]
        pk, sk = DynamoType(key["pk"]), DynamoType(key["sk"])
        before.append((table, pk, sk, copy.deepcopy(table.get_item(pk, sk))))
    try:
        return transact_write_items(self, transact_items)
    except Exception:
        for table, pk, sk, item in before:
            if item is not None:
                table.items[pk][sk] = item
            elif pk in table.items:
                table.items[pk].pop(sk, None)
        raise


backend.transact_write_items = transact

update_item, seen = backend.update_item, set()
clause = re.compile(r"(SET|ADD|REMOVE) (.*?)(?= (?:SET|ADD|REMOVE) |$)")


def update(self, table_name, key, update_expression, expression_attribute_names, expression_attribute_values, **more):
    condition = more.get("condition_expression")
    names, values = expression_attribute_names or {}, expression_attribute_values or {}
    plain = (update_expression or "(") + " " + str(sorted(names))
    if "(" in plain or plain not in seen or more.get("attribute_updates") or more.get("expected"):
        seen.add(plain)
        return update_item(self, table_name, key, update_expression, names, values, **more)
    table = self.get_table(table_name)
    pk, sk = DynamoType(key["pk"]), DynamoType(key["sk"])
    item = table.get_item(pk, sk)
    if not models.get_filter_expression(condition, names, values).expr(item):
        wanted = more.get("return_values_on_condition_check_failure") == "ALL_OLD" and item is not None
        raise models.ConditionalCheckFailed(item=item.to_json()["Attributes"] if wanted else None)
    if item is None:
        table.put_item(key)
        item = table.get_item(pk, sk)
    for word, parts in clause.findall(update_expression):
        for part in parts.split(", "):
            name, _, value = part.replace(" = ", " ").partition(" ")
            name = names[name]
            if word == "SET":
                item.attrs[name] = DynamoType(values[value])
            elif word == "ADD":
                before = int(item.attrs[name].value) if name in item.attrs else 0
                item.attrs[name] = DynamoType({"N": str(before + int(values[value]["N"]))})
            else:
                item.attrs.pop(name, None)
    return item


backend.update_item = update

query, all_items = tables.Table.query, tables.Table.all_items


def narrow(self, hash_key, *args, **kwargs):
    conditions = kwargs.get("hash_key_conditions")
    self.only = hash_key or conditions[0][1]
    try:
        return query(self, hash_key, *args, **kwargs)
    finally:
        self.only = None


def own_items(self):
    only = getattr(self, "only", None)
    if only is None:
        return all_items(self)
    return list(self.items[only].values()) if only in self.items else []


tables.Table.query, tables.Table.all_items = narrow, own_items

equal, less = DynamoType.__eq__, DynamoType.__lt__


def text_equal(self, other):
    if isinstance(other, DynamoType) and self.type == other.type == "S":
        return self.value == other.value
    return equal(self, other)


def text_less(self, other):
    return self.value < other.value if self.type == other.type == "S" else less(self, other)


DynamoType.__eq__, DynamoType.__lt__ = text_equal, text_less

DomainDispatcherApplication.get_backend_for_host = functools.cache(DomainDispatcherApplication.get_backend_for_host)
logging.getLogger("werkzeug").setLevel(logging.ERROR)
WSGIRequestHandler.protocol_version = "HTTP/1.1"
WSGIRequestHandler.disable_nagle_algorithm = True


def end_with(parent):
    """A test that is killed cannot end what it started."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


# All wait for this process, so it goes first where it may.
try:
    os.setpriority(os.PRIO_PROCESS, 0, -5)
except OSError:
    pass

threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()

# The argument is a port of this machine, or a host and a port.
host, _, port = sys.argv[1].rpartition(":")
main(["-H", host or "127.0.0.1", "-p", port])
