"""What readers that we did not write find in a table, as JSON.
usage: PYTHON iceberg_readers.py pyiceberg|duckdb|delete TABLE [SNAPSHOT]

The catalog, its namespace and the store are those of the environment (ICEBERG_*, AWS_*).
"""

import json
import os
import sys

reader, name, *snapshot = sys.argv[1:]
env = os.environ
key, secret = env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
endpoint = env["AWS_ENDPOINT_URL_S3"]
identifier = env["ICEBERG_NAMESPACE"] + "." + name


def by_pyiceberg():
    from pyiceberg.catalog import load_catalog

    options = {
        "type": "rest",
        "uri": env["ICEBERG_CATALOG_URL"],
        "warehouse": env["ICEBERG_WAREHOUSE"],
        "credential": env["ICEBERG_CREDENTIAL"],
        "s3.endpoint": endpoint,
        "s3.access-key-id": key,
        "s3.secret-access-key": secret,
        "s3.region": env["AWS_REGION"],
    }
    table = load_catalog("lens", **options).load_table(identifier)
    at = {"snapshot_id": int(snapshot[0])} if snapshot else {}
    if reader == "delete":
        table.delete()
    scan = table.scan(**at)
    return {
        "rows": [row for row in scan.to_arrow().to_pylist()],
        "files": sorted(task.file.file_path for task in scan.plan_files()),
        "last_hour": len(list(table.scan(row_filter="ended_at >= '2025-11-24T11:10:00+00:00'").plan_files()))
        if name == "requests"
        else None,
        "snapshots": [
            {"id": str(one.snapshot_id), **one.summary.model_dump()} for one in table.snapshots()
        ],
        "properties": table.properties,
        "manifests": table.inspect.manifests().num_rows,
    }


def by_duckdb():
    import duckdb

    db = duckdb.connect(config={"allow_unsigned_extensions": "false"})
    for extension in ("avro", "httpfs", "iceberg"):
        home = __import__(f"duckdb_extension_{extension}").__path__[0]
        db.load_extension(f"{home}/extensions/v{duckdb.__version__}/{extension}.duckdb_extension")
    host = endpoint.removeprefix("http://")
    db.execute(
        f"CREATE SECRET s (TYPE s3, KEY_ID '{key}', SECRET '{secret}', ENDPOINT '{host}', "
        "USE_SSL false, URL_STYLE 'path', REGION 'us-east-1')"
    )
    id, password = env["ICEBERG_CREDENTIAL"].split(":")
    catalog = env["ICEBERG_CATALOG_URL"]
    db.execute(
        f"CREATE SECRET i (TYPE iceberg, CLIENT_ID '{id}', CLIENT_SECRET '{password}', "
        f"OAUTH2_SERVER_URI '{catalog}/v1/oauth/tokens')"
    )
    db.execute(
        f"ATTACH '{env['ICEBERG_WAREHOUSE']}' AS lens (TYPE iceberg, SECRET i, ENDPOINT '{catalog}')"
    )
    rows = db.execute(f"SELECT * FROM lens.{identifier}").to_arrow_table().to_pylist()
    return {"rows": rows}


print(json.dumps(by_duckdb() if reader == "duckdb" else by_pyiceberg(), default=str))
