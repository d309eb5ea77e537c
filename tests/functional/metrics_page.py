"""The metrics of a vigie, read by Prometheus' own parser."""
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from vigie_process import PATIENCE


class Page:
    """One scrape."""

    def __init__(self, address: str):
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=PATIENCE) as response:
            assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            self.text = response.read().decode()
        self.families = {family.name: family for family in text_string_to_metric_families(self.text)}

    def samples(self, name: str, **labels) -> list:
        return [sample for family in self.families.values() for sample in family.samples
                if sample.name == name and labels.items() <= sample.labels.items()]

    def value(self, name: str, **labels) -> float:
        """The sum over the samples that have these labels."""
        return sum(sample.value for sample in self.samples(name, **labels))
