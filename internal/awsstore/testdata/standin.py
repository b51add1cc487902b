"""Runs moto's server with DynamoDB as DynamoDB is, where moto 5.2 is not.

- One request for DynamoDB at a time. moto serves requests in threads, and neither
  checks conditions nor updates items under a lock: two conditional writes of one
  item can both pass, and a reader can see an item that an update has only begun.
- A transaction that fails puts back its own items. moto puts back a copy of the
  whole table, made when the transaction began, and so undoes what others wrote
  meanwhile. Copying all for every transaction also takes seconds for a table of
  some thousand items.
- A query looks at its own partition, where moto sorts the whole table first. That
  is for speed alone.
"""

import copy
import sys
import threading

from moto.dynamodb import models
from moto.dynamodb.models import table as tables
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.responses import DynamoHandler
from moto.server import main

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

main(["-H", "127.0.0.1", "-p", sys.argv[1]])
