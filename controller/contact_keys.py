"""The keys of drivers' contact data: from the environment, else from a file beside the database that only its owner may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.secrets import SecretError, private_text

if TYPE_CHECKING:
    from controller.settings import Settings
    from payments.privacy import Vault

CONTACTS_FILE: Final = "contacts.key"


def vault_of(settings: Settings) -> Vault:
    """The vault of this depot; its key is made at the first call. Raises :class:`~controller.secrets.SecretError`,
    :class:`~payments.PaymentsError`."""
    from payments import PaymentsError
    from payments.privacy import ContactKeys, Vault, new_key

    if settings.contacts_key is not None:
        return Vault(ContactKeys.parse(settings.contacts_key.get_secret_value()))
    path = settings.storage.path / CONTACTS_FILE
    text = private_text(path, lambda: new_key() + "\n")
    try:
        return Vault(ContactKeys.parse(text))
    except PaymentsError as error:
        raise SecretError(f"{path} is damaged: {error}. Without its key contact data are lost: restore it from a backup") from None
