package app

type sayCmd struct{}
