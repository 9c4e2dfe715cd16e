export LANG=C.UTF-8
export ARTIFACT_TOKEN=
export https_proxy="http://proxy.example:3128"
