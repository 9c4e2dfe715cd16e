external_url 'https://git.example'
gitlab_rails['smtp_password'] = ""
