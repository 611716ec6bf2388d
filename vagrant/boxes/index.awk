# Reads entries of apt's package lists (`apt-cache show`); prints NAME VERSION ARCHITECTURE SHA256 for each. An entry
# without a SHA-256 describes an installed package, not one of the archive, and is left out.
/^Package: / { name = $2 }
/^Version: / { version = $2 }
/^Architecture: / { architecture = $2 }
/^SHA256: / { sha256 = $2 }
/^$/ { finish() }
END { finish() }
function finish() {
    if (name != "" && sha256 != "") print name, version, architecture, sha256
    name = version = architecture = sha256 = ""
}
