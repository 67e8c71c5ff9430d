"""SQL that people write, taken apart by DuckDB's own parser before anything is read: what it may be, what it needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framescribe.errors import UsageError
from framescribe.shown import shorten, shown

if TYPE_CHECKING:
    import duckdb

TABLE = "rows"
"""What SQL calls the table."""

_TABLE_FUNCTIONS = {"unnest", "range", "generate_series"}
"""Functions that may stand in FROM: they read nothing."""
_GROWING = {
    "range", "generate_series", "repeat", "lpad", "rpad", "list_resize", "array_resize", "printf", "format", "bar",
    "list_reduce", "array_reduce", "reduce",
}  # fmt: skip
"""Functions whose value can be of any size, which no limit of DuckDB's holds and no interruption ends."""
_PLAIN_TABLES = {"BASE_TABLE", "EMPTY", "EXPRESSION_LIST", "JOIN", "SUBQUERY", "TABLE_FUNCTION"}
_EXPLAIN = "EXPLAIN "
_MAX_REASON_CHARS = 1000
_DETAILS = re.compile(r"\{.*\}", re.DOTALL)
Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Clause:
    """A place in a statement for an expression of anyone's.

    Attributes:
        setting: what the expression is called in Python.
        before: the statement up to there.
        slot: where the parser puts it in the statement's tree.
        sample: an expression that may stand there.
    """

    setting: str
    before: str
    slot: str
    sample: str

    def check(self, expression: str, connection: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> None:
        """Raises UsageError unless the text is an expression for this place that the table's columns can answer.

        Args:
            expression: of anyone's.
            connection: has an empty table of the columns.
            columns: of the table.
        """
        sql = self.before + expression
        with told(f"`{self.setting}` {shown(expression)}", columns, sql, len(self.before)):
            tree, frame = parsed(sql, connection), parsed(self.before + self.sample, connection)
            needed_columns(tree, columns)
            for node in _nodes(tree):
                if node.get("class") == "FUNCTION" and str(node["function_name"]).casefold() in _GROWING:
                    raise UsageError(f"calls {node['function_name']}(), whose value can be of any size")
            parts = tree.pop(self.slot, None), frame.pop(self.slot)
            if _bare(tree) != _bare(frame) or _kinds(parts[0]) != _kinds(parts[1]):
                raise UsageError("is more than an expression")
            bind(sql, connection)


WHERE = Clause("where", f"SELECT 1 FROM {TABLE} WHERE ", "where_clause", "true")
ORDER_BY = Clause("order_by", f"SELECT 1 FROM {TABLE} ORDER BY ", "modifiers", "1")


@contextmanager
def told(name: str, columns: Sequence[str], sql: str = "", skipped: int = 0) -> Iterator[None]:
    """Turns DuckDB's errors, and ours, into one line.

    Args:
        name: what people call the SQL, with its text.
        columns: of the table.
        sql: as it is parsed and bound, for the place of an error; empty if none is to be told.
        skipped: characters at the start of ``sql`` that people did not write.
    """
    import duckdb

    try:
        yield
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from error
    except duckdb.Error as error:
        raise UsageError(f"{name}: {_reason(str(error), columns, sql, skipped)}") from error


def _reason(message: str, columns: Sequence[str], sql: str, skipped: int) -> str:
    found = _DETAILS.search(message)
    try:
        details: Node = json.loads(found[0]) if found else {}
    except ValueError:
        details = {}
    reason = str(details.get("exception_message", message)).split("\n")[0]
    if details.get("error_subtype") == "COLUMN_NOT_FOUND":
        reason = (
            f"there is no column {details.get('name')} (text is written between single quotes); "
            f"there are {', '.join(columns)}"
        )
    position = str(details.get("position", ""))
    if sql and position.isdecimal():
        before = sql.encode()[: int(position)].decode(errors="replace")  # DuckDB counts bytes
        reason = f"at character {len(before) - skipped + 1}: {reason}"
    return shown(shorten(reason, _MAX_REASON_CHARS))


def parsed(sql: str, connection: duckdb.DuckDBPyConnection) -> Node:
    """The tree of a SELECT statement.

    Raises:
        UsageError: it is something else, or more than one.
        duckdb.Error: it is no SQL.
    """
    import duckdb

    (text,) = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone() or ("{}",)
    answer = json.loads(text)
    if answer.get("error"):
        if answer.get("error_type") != "parser":
            raise UsageError(f"only SELECT from {TABLE} is answered")
        details = {"exception_message": answer.get("error_message"), "position": answer.get("position")}
        raise duckdb.ParserException(json.dumps(details))
    if len(answer["statements"]) != 1:
        raise UsageError("is more than one statement")
    node: Node = answer["statements"][0]["node"]
    return node


def bind(sql: str, connection: duckdb.DuckDBPyConnection) -> None:
    """Has the names and types of a statement looked up; no row is read.

    Raises:
        duckdb.Error: they do not fit.
    """
    import duckdb

    try:
        connection.execute(_EXPLAIN + sql)
    except duckdb.Error as error:
        place = re.search(r'"position":"(\d+)"', str(error))
        if place is None:
            raise
        moved = f'"position":"{int(place[1]) - len(_EXPLAIN)}"'
        raise type(error)(str(error).replace(place[0], moved)) from error


def needed_columns(tree: Node, columns: Sequence[str]) -> list[str]:
    """The columns of the table that a statement may need, in the table's order.

    Raises:
        UsageError: the statement reads something else than the table.
    """
    nodes = list(_nodes(tree))
    tables = [node for node in nodes if "sample" in node and "alias" in node and "class" not in node]
    common = {each["key"].casefold() for node in nodes for each in (node.get("cte_map") or {}).get("map", ())}
    for table in tables:
        _check_table(table, common)
    known = {column.casefold(): column for column in columns}
    table_names = {TABLE, *(table["alias"].casefold() for table in tables)}
    inner = {name.casefold() for node in nodes for name in _inner_names(node)} - table_names
    named: set[str] = set()
    for node in nodes:
        if node.get("class") == "STAR" or node.get("ref_type") == "NATURAL":
            return list(columns)
        for names in (node.get("column_names"), *([name] for name in node.get("using_columns") or ())):
            found = [known[name.casefold()] for name in names or () if name.casefold() in known]
            named.update(found)
            if names and not found and not (len(names) == 1 and names[0].casefold() in inner):
                return list(columns)  # a whole row, by the name of its table
    return [column for column in columns if column in named]


def _check_table(table: Node, common: set[str]) -> None:
    kind = table["type"]
    if kind == "BASE_TABLE":
        name = ".".join(filter(None, (table["catalog_name"], table["schema_name"], table["table_name"])))
        if name.casefold() not in {TABLE, *common}:
            raise UsageError(f"reads {name}; only the table {TABLE} can be read")
    elif kind == "TABLE_FUNCTION":
        name = table["function"].get("function_name")
        if name not in _TABLE_FUNCTIONS:
            raise UsageError(f"calls {name}(); only the table {TABLE} can be read")
    elif kind not in _PLAIN_TABLES:
        raise UsageError(f"only SELECT from {TABLE} is answered")


def _inner_names(node: Node) -> list[str]:
    """Names that an expression gives to others within the statement: aliases, and parameters of lambdas."""
    if node.get("class") == "LAMBDA":
        return [name for each in _nodes(node["lhs"]) for name in each.get("column_names") or ()]
    return [node["alias"]] if node.get("class") and node.get("alias") else []


def _nodes(tree: Any) -> Iterator[Node]:
    """All dictionaries within, without recursion, as a stranger's expression may be deep."""
    waiting = [tree]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def _bare(tree: Node) -> str:
    """A tree as text, without the places of its parts in the SQL."""
    for node in _nodes(tree):
        node.pop("query_location", None)
        node.pop("query_location_length", None)
    return json.dumps(tree)


def _kinds(parts: Any) -> list[str]:
    return [each["type"] for each in parts] if isinstance(parts, list) else []
