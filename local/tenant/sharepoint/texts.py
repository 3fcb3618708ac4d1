"""Error texts of SharePoint in other languages; the number and the type stay as they are.

The wording is ours: what matters is that a client cannot tell the error by an English text.
"""

from local.tenant.sharepoint.odata import ServiceError

_OTHERS = ""
_TEXTS: dict[str, dict[str, str]] = {
    "de-DE": {
        "UserNotFoundException": "Benutzerprofilfehler 1000: Der Benutzer wurde nicht gefunden: "
        "Die Profildaten konnten nicht aus der Datenbank geladen werden.",
        "UnauthorizedAccessException": "Zugriff verweigert. Sie sind nicht berechtigt, diesen "
        "Vorgang auszuführen oder auf diese Ressource zuzugreifen.",
        "PropertyNotEditableException": "Die Eigenschaft kann nicht bearbeitet werden.",
        "FileNotFoundException": "Die Datei wurde nicht gefunden.",
        "SPFileCheckOutException": "Die Datei ist zur Bearbeitung ausgecheckt.",
        "SPFileLockException": "Die Datei ist für die gemeinsame Verwendung gesperrt.",
        "SPQueryThrottledException": "Der Vorgang ist nicht zulässig, weil er den Schwellenwert "
        "für Listenansichten überschreitet.",
        _OTHERS: "Unerwarteter Fehler.",
    },
    "ja-JP": {
        "UserNotFoundException": "ユーザー プロファイル エラー: ユーザーが見つかりません。",
        "UnauthorizedAccessException": "アクセスが拒否されました。",
        "PropertyNotEditableException": "プロパティを編集できません。",
        "FileNotFoundException": "ファイルが見つかりません。",
        "SPFileCheckOutException": "ファイルは編集のためチェックアウトされています。",
        "SPFileLockException": "ファイルはロックされています。",
        "SPQueryThrottledException": "リスト ビューのしきい値を超えています。",
        _OTHERS: "予期しないエラーが発生しました。",
    },
}


def localized(error: ServiceError, language: str) -> ServiceError:
    """The same error with a text in another language; unchanged in English."""
    texts = _TEXTS.get(language)
    if texts is None or "," not in error.code:
        return error
    kind = error.type_name.rpartition(".")[2]
    return ServiceError(error.status, error.code, texts.get(kind, texts[_OTHERS]))
