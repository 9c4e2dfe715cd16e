set -gx EDITOR vi
set -gx VAULT_SECRET ''
