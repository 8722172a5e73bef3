"""Graphs that were there before: their edges summed by group, once."""

from django.db import migrations

FILL = """
INSERT INTO group_edge (dag_id, upstream_id, downstream_id, edges)
SELECT up.dag_id, up.group_id, down.group_id, COUNT(*)
FROM job_edge
JOIN job up ON up.job_id = job_edge.upstream_id
JOIN job down ON down.job_id = job_edge.downstream_id
GROUP BY up.dag_id, up.group_id, down.group_id
"""


class Migration(migrations.Migration):
    dependencies = [("workflows", "0003_stored_facts")]
    operations = [migrations.RunSQL(FILL, "DELETE FROM group_edge")]
