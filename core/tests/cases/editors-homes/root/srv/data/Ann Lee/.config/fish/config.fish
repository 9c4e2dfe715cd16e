set -gx EDITOR vi
set -gx VAULT_SECRET "s 12"
