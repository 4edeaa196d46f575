"""Reads YAML with each reader that Debian has for Python. Input: a JSON list of texts. Output: for each text and reader its objects.

Each value of a ConfigMap's data is YAML as well and is read by the same reader.
"""

import io
import json
import sys

import ruamel.yaml
import yaml


def ruamel_reader(pure):
    return lambda text: list(ruamel.yaml.YAML(typ="safe", pure=pure).load_all(io.StringIO(text)))


# PyYAML knows YAML 1.1, as libyaml does; ruamel.yaml knows YAML 1.2.
READERS = {
    "PyYAML": lambda text: list(yaml.load_all(text, Loader=yaml.SafeLoader)),
    "PyYAML with libyaml": lambda text: list(yaml.load_all(text, Loader=yaml.CSafeLoader)),
    "ruamel.yaml": ruamel_reader(pure=True),
    "ruamel.yaml with libyaml": ruamel_reader(pure=False),
}


def read(reader, text):
    try:
        objects = reader(text)
        for found in objects:
            found["data"] = {key: reader(value) for key, value in found["data"].items()}
        return objects
    except Exception as error:  # What a reader does not take is a finding, too.
        return repr(error)


texts = json.load(sys.stdin)
json.dump([{name: read(reader, text) for name, reader in READERS.items()} for text in texts], sys.stdout, default=repr)
