"""What the processes that get killed have loaded before they are forked."""

import warnings

# LanceDB renews its threads in a forked process and says so.
warnings.filterwarnings("ignore", message="lancedb fork support", category=RuntimeWarning)

import databricks.sdk.service.vectorsearch  # noqa: E402, F401
import lancedb  # noqa: E402
import lancedb.index  # noqa: E402, F401
import psycopg  # noqa: E402, F401

import tests.etl.test_crash  # noqa: E402, F401
