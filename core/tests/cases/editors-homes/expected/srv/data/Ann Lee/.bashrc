case $- in *i*) ;; *) return;; esac
if [ -n "$CI" ]; then
	export DEPLOY_PASSWORD=
fi
alias deploy="API_KEY= deploy --all"
export EDITOR=vi
