"""The numbers of a page as files inside it: data URIs of CSV and JSON."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from aiida_ionconduct.labels import csv_cell
from aiida_ionconduct.report.result import Campaign

MAX_CSV_ROWS = 20000
CAMPAIGN_FIELDS = (
    'process', 'composition', 'dataset', 'training', 'validation', 'arrhenius', 'outcome', 'disorder', 'expansion',
    'codes', 'versions', 'inputs',
)  # fmt: skip
"""What the JSON file of a campaign holds beside the conductivities: everything without arrays."""

Columns = Mapping[str, Any]
"""The columns of a table: sequences or arrays, which need not have the same length."""


def csv_uri(columns: Columns) -> str:
    """Return columns as a CSV file in a data URI."""
    return _data_uri('text/csv', csv_text(columns))


def csv_text(columns: Columns) -> str:
    """Return columns, padded to one length, as the text of a CSV file: at most MAX_CSV_ROWS evenly chosen rows."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator='\n')
    writer.writerow(map(csv_cell, columns))
    table = list(itertools.zip_longest(*columns.values(), fillvalue=''))
    for row in table[:: -(-len(table) // MAX_CSV_ROWS) or 1]:
        # The shortest digits that are the same number: a download is what the node holds.
        writer.writerow([csv_cell(value.item() if isinstance(value, np.generic) else value) for value in row])
    return stream.getvalue()


def json_uri(data: Campaign) -> str:
    """Return everything of a campaign that is not an array as a JSON file in a data URI."""
    summary = {name: getattr(data, name) for name in CAMPAIGN_FIELDS}
    summary['costs'] = [asdict(cost) for cost in data.costs]
    summary['conductivities'] = [{**result.attributes, 'uuid': result.uuid} for result in data.conductivities]
    return _data_uri('application/json', json.dumps(summary, indent=1, default=str))


def _data_uri(media_type: str, text: str) -> str:
    return f'data:{media_type};base64,{base64.b64encode(text.encode()).decode()}'
