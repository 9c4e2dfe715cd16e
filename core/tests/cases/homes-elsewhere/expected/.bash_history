of nobody: / is never a home
