//! The keywords of connect strings, and the variables that stand in for them.

/// A keyword that libpq knows.
#[derive(Debug)]
pub struct Keyword {
    /// How connect strings and service files call it.
    pub name: &'static str,
    /// The variable of the environment that says it for all connections.
    pub variable: Option<&'static str>,
}

/// The keyword of this name.
pub fn known(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.name == name)
}

/// Whether its value must never be shown.
pub fn is_secret(name: &str) -> bool {
    matches!(
        name,
        "password" | "sslpassword" | "scram_client_key" | "scram_server_key" | "oauth_client_secret"
    )
}

const fn with(name: &'static str, variable: &'static str) -> Keyword {
    Keyword { name, variable: Some(variable) }
}

const fn only(name: &'static str) -> Keyword {
    Keyword { name, variable: None }
}

/// All of libpq 18.
pub static KEYWORDS: &[Keyword] = &[
    with("service", "PGSERVICE"),
    with("servicefile", "PGSERVICEFILE"),
    with("host", "PGHOST"),
    with("hostaddr", "PGHOSTADDR"),
    with("port", "PGPORT"),
    with("dbname", "PGDATABASE"),
    with("user", "PGUSER"),
    with("password", "PGPASSWORD"),
    with("passfile", "PGPASSFILE"),
    with("require_auth", "PGREQUIREAUTH"),
    with("channel_binding", "PGCHANNELBINDING"),
    with("connect_timeout", "PGCONNECT_TIMEOUT"),
    with("client_encoding", "PGCLIENTENCODING"),
    with("options", "PGOPTIONS"),
    with("application_name", "PGAPPNAME"),
    only("fallback_application_name"),
    only("keepalives"),
    only("keepalives_idle"),
    only("keepalives_interval"),
    only("keepalives_count"),
    only("tcp_user_timeout"),
    only("replication"),
    with("sslmode", "PGSSLMODE"),
    with("sslnegotiation", "PGSSLNEGOTIATION"),
    with("sslcompression", "PGSSLCOMPRESSION"),
    with("sslcert", "PGSSLCERT"),
    with("sslkey", "PGSSLKEY"),
    with("sslcertmode", "PGSSLCERTMODE"),
    only("sslpassword"),
    with("sslrootcert", "PGSSLROOTCERT"),
    with("sslcrl", "PGSSLCRL"),
    with("sslcrldir", "PGSSLCRLDIR"),
    with("sslsni", "PGSSLSNI"),
    with("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    with("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    only("sslkeylogfile"),
    with("requirepeer", "PGREQUIREPEER"),
    with("gssencmode", "PGGSSENCMODE"),
    with("krbsrvname", "PGKRBSRVNAME"),
    with("gsslib", "PGGSSLIB"),
    with("gssdelegation", "PGGSSDELEGATION"),
    with("min_protocol_version", "PGMINPROTOCOLVERSION"),
    with("max_protocol_version", "PGMAXPROTOCOLVERSION"),
    with("target_session_attrs", "PGTARGETSESSIONATTRS"),
    with("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    only("scram_client_key"),
    only("scram_server_key"),
    only("oauth_issuer"),
    only("oauth_client_id"),
    only("oauth_client_secret"),
    only("oauth_scope"),
];
