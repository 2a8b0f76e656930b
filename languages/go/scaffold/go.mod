module plugins/my-plugin

go 1.24
