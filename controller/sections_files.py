"""The section ``[files]`` of the settings file: how stations fetch firmware and send logs."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import field_validator, model_validator

from controller.sections import Port, Section, http_address, setting


class FilesSection(Section):
    """A process of its own serves files to stations and takes their logs, by addresses that expire."""

    serve: bool = setting(True, "Serve firmware images to stations, and take their logs.")
    host: str = setting("127.0.0.1", "Address on which stations fetch and send files; 0.0.0.0 for every network of this machine.")
    port: Port = setting(8070, "Port of it.", ge=1)
    public_url: str = setting(
        "", "How stations reach it, like https://depot.example:8070, where that is not http://host:port. Needed where host is 0.0.0.0."
    )
    tls_cert: Path | None = setting(None, "Certificate chain (PEM), for HTTPS. Set tls_key, too.")
    tls_key: Path | None = setting(None, "Its private key (PEM).")
    max_image_mb: int = setting(512, "Largest firmware image that is taken.", unit="MB", ge=1, le=8192)
    max_upload_mb: int = setting(64, "Largest file that a station may send.", unit="MB", ge=1, le=4096)
    kept_days: int = setting(30, "Received files are dropped after this.", unit="d", ge=1, le=3650)
    kept_mb: int = setting(2048, "All received files together; the oldest are dropped before there is more.", unit="MB", ge=1, le=10**6)

    @field_validator("public_url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        return http_address(url, "http://10.0.0.5:8070 or https://depot.example/files")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together: set both, or none")
        if self.serve and not self.public_url and self.host in ("0.0.0.0", "::"):  # noqa: S104  # looked at, not bound
            raise ValueError(f"host = {self.host} is no address that a station can call: set public_url, too")
        if self.kept_mb < self.max_upload_mb:
            raise ValueError(f"kept_mb ({self.kept_mb}) has no room for one file of max_upload_mb ({self.max_upload_mb})")
        return self

    def reached_at(self, port: int) -> str:
        """The address that stations are told; ``port``: with the offset."""
        if self.public_url:
            return self.public_url
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls_cert is not None else 'http'}://{host}:{port}"
