# Holds events (JSON lines on standard input) against the published schema of OCSF, by the packages ocsf-json-schema and
# jsonschema of PyPI. Prints what is wrong, one line each; exit status 1 if anything is.
import json
import sys

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

published = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.5.0"))
wrong = 0
for line in sys.stdin:
    event = json.loads(line)
    name = published.lookup_class_name_from_uid(class_uid=event["class_uid"])
    schema = published.get_class_schema(class_name=name, profiles=event["metadata"].get("profiles", []))
    for error in Draft202012Validator(schema).iter_errors(event):
        print(name, "/".join(map(str, error.path)), error.message[:300])
        wrong += 1
sys.exit(1 if wrong else 0)
