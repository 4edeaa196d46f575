"""Reads YAML on standard input with two readers. Prints what each read, as JSON: {reader: [[object, {key: inner document}], ...]}."""
import io
import json
import sys

import ruamel.yaml
import yaml

text = sys.stdin.buffer.read().decode("utf-8")


def pyyaml(text):
    return list(yaml.safe_load_all(text))


def ruamel_yaml(text):
    return list(ruamel.yaml.YAML(typ="safe", pure=True).load_all(io.StringIO(text, newline="")))


def read(reader):
    found = []
    for document in reader(text):
        if document is None:
            continue
        inner = {key: reader(value) for key, value in document["data"].items()}
        found.append([document, {key: documents[0] if len(documents) == 1 else documents or None for key, documents in inner.items()}])
    return found


json.dump({"PyYAML": read(pyyaml), "ruamel.yaml": read(ruamel_yaml)}, sys.stdout)
