"""What a database is beside its rows: encoding, locale, extensions, and the roles it speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from mina_ops.operator.database.connection.queries import literal, quoted, rows
from mina_ops.operator.database.connection.sealed import sealed

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
# PostgreSQL 17 renamed the column of the locale; as JSON both can be asked for.
_DATABASE = sealed("""
SELECT pg_encoding_to_char(d.encoding)::text AS encoding, d.datcollate::text AS collation,
  d.datctype::text AS ctype,
  d.datlocprovider::text AS provider,
  coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', '') AS locale,
  pg_get_userbyid(d.datdba)::text AS owner
FROM pg_database AS d WHERE d.datname = current_database()
""")
_EXTENSIONS = sealed("""
SELECT e.extname::text AS name, n.nspname::text AS schema FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql' ORDER BY 1
""")
_SETTINGS = sealed("""
SELECT coalesce(r.rolname::text, '') AS role, c.entry
FROM pg_db_role_setting AS s JOIN pg_database AS d ON d.oid = s.setdatabase
LEFT JOIN pg_roles AS r ON r.oid = s.setrole
CROSS JOIN LATERAL unnest(s.setconfig) AS c(entry)
WHERE d.datname = current_database() ORDER BY 1, 2
""")
# The owner's own rights come with owning it.
_GRANTS = sealed("""
SELECT coalesce(r.rolname::text, '') AS role, a.privilege_type AS privilege,
  a.is_grantable AS grantable
FROM pg_database AS d CROSS JOIN LATERAL aclexplode(d.datacl) AS a
LEFT JOIN pg_roles AS r ON r.oid = a.grantee
WHERE (d.datname = current_database()) AND (a.grantee <> d.datdba) ORDER BY 1, 2
""")
_HAS_GRANTS = sealed("""
SELECT d.datacl IS NOT NULL AS yes FROM pg_database AS d WHERE d.datname = current_database()
""")
# Of the role that began the cluster no dependencies are kept, so owners are asked for as well. What
# an extension made belongs to that role, and comes back with the extension.
_ROLES = sealed("""
WITH made AS (SELECT d.objid AS oid FROM pg_depend AS d WHERE d.deptype = 'e'),
owned AS (
  SELECT c.oid, c.relowner AS owner FROM pg_class AS c WHERE c.oid >= '16384'::oid
  UNION SELECT p.oid, p.proowner FROM pg_proc AS p WHERE p.oid >= '16384'::oid
  UNION SELECT n.oid, n.nspowner FROM pg_namespace AS n WHERE n.oid >= '16384'::oid
  UNION SELECT t.oid, t.typowner FROM pg_type AS t WHERE (t.oid >= '16384'::oid)
    AND ((t.typelem = '0'::oid) AND (t.typrelid = '0'::oid))
)
SELECT r.rolname::text AS name, r.rolcanlogin AS login, bool_or(f.owns) AS owns
FROM pg_roles AS r JOIN (
  SELECT o.owner AS role, true AS owns FROM owned AS o
    WHERE NOT EXISTS (SELECT 1 FROM made AS m WHERE m.oid = o.oid)
  UNION ALL
  SELECT s.refobjid, s.deptype = 'o' FROM pg_shdepend AS s JOIN pg_database AS d ON d.oid = s.dbid
    WHERE (d.datname = current_database()) AND ((s.refclassid = 'pg_authid'::regclass)
    AND (NOT EXISTS (SELECT 1 FROM made AS m WHERE m.oid = s.objid)))
) AS f ON f.role = r.oid
WHERE r.rolname !~ '^pg_'
GROUP BY 1, 2 ORDER BY 1
""")

_MAY_OWN = sealed("""
SELECT 1 FROM pg_roles AS r
WHERE (r.rolname = CAST(:name AS pg_catalog.name)) AND pg_has_role(r.oid, 'MEMBER')
""")


@dataclass(frozen=True)
class Traits:
    """What a new database must be like to take this one's backup.

    Attributes:
        encoding, collation, ctype: as CREATE DATABASE takes them.
        provider: `libc`, `icu` or `builtin`; `locale` is the last two's.
        extensions: name -> schema.
        roles: each role that owns or may use something -> whether it may log in.
        owners: those of them that own something; None: nobody noted it.
        owner: the role that owns the database itself.
        settings: role (or ""), name and value of each setting of the database.
        grants: role ("" is PUBLIC), privilege and whether it may be passed on, beside the owner's;
            None: the defaults.
    """

    encoding: str = ""
    collation: str = ""
    ctype: str = ""
    provider: str = "libc"
    locale: str = ""
    extensions: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, bool] = field(default_factory=dict)
    owners: Sequence[str] | None = None
    owner: str = ""
    settings: Sequence[Sequence[str]] = ()
    grants: Sequence[Sequence[Any]] | None = None

    def creation(self, name: str, owner: str = "") -> str:
        """The CREATE DATABASE for one of the same kind."""
        words = [f"CREATE DATABASE {quoted(name)} TEMPLATE template0"]
        words += [f"OWNER {quoted(owner)}"] if owner else []
        if self.encoding:
            words.append(f"ENCODING {literal(self.encoding)}")
            words.append(f"LC_COLLATE {literal(self.collation)} LC_CTYPE {literal(self.ctype)}")
        if self.encoding and self.provider != "libc":
            kind = "ICU_LOCALE" if self.provider == "icu" else "BUILTIN_LOCALE"
            words.append(f"LOCALE_PROVIDER {self.provider} {kind} {literal(self.locale)}")
        return " ".join(words)


def read(connection: Connection) -> Traits:
    """The traits of a PostgreSQL database; empty ones of another."""
    if connection.dialect.name == "sqlite":
        return Traits()
    found, roles = rows(connection, _DATABASE)[0], rows(connection, _ROLES)
    return Traits(
        found.encoding,
        found.collation,
        found.ctype,
        _PROVIDERS.get(found.provider, found.provider),
        found.locale,
        {row.name: row.schema for row in rows(connection, _EXTENSIONS)},
        {row.name: row.login for row in roles},
        [row.name for row in roles if row.owns],
        found.owner,
        [[row.role, *row.entry.split("=", 1)] for row in rows(connection, _SETTINGS)],
        _grants(connection),
    )


def _grants(connection: Connection) -> list[list[Any]] | None:
    if not rows(connection, _HAS_GRANTS)[0].yes:
        return None
    return [[row.role, row.privilege, row.grantable] for row in rows(connection, _GRANTS)]


def may_own(connection: Connection, name: str) -> bool:
    """Whether this connection's role may make a database of that role's."""
    return bool(name and rows(connection, _MAY_OWN, name=name))


def differences(wanted: Traits, found: Traits) -> Sequence[str]:
    """A sentence for each trait of the database itself that a restore cannot bring along."""
    if not wanted.encoding:
        return []
    pairs = (
        ("owner", wanted.owner or found.owner, found.owner),
        ("encoding", wanted.encoding, found.encoding),
        ("collation", wanted.collation, found.collation),
        ("character type", wanted.ctype, found.ctype),
        (
            "locale",
            f"{wanted.provider} {wanted.locale}".strip(),
            f"{found.provider} {found.locale}".strip(),
        ),
    )
    return [
        f"its {name} is {theirs}, that of the backup {ours}"
        for name, ours, theirs in pairs
        if ours != theirs
    ]
