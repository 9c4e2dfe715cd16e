export LANG=C.UTF-8
export ARTIFACT_TOKEN=at-15
export https_proxy="http://build:pw-16@proxy.example:3128"
